//! What is written for a service.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Lifetime;

use crate::{
    method::{Kind, Method},
    service::Service,
};

impl Service {
    pub(crate) fn expand(&self) -> TokenStream {
        let definition = self.definition();
        let client = self.client();
        let server = self.server();
        quote! { #definition #client #server }
    }

    fn definition(&self) -> TokenStream {
        let Self {
            attributes,
            visibility,
            name,
            methods,
        } = self;
        let static_ = Lifetime::new("'static", Span::call_site());
        let methods = methods.iter().map(|method| {
            let Method {
                attributes,
                name,
                request: (request, request_type),
                second: (second, second_type),
                output,
                ..
            } = method;
            quote_spanned! { name.span() =>
                #(#attributes)*
                fn #name(
                    &self,
                    #request: #request_type,
                    #second: #second_type,
                ) -> impl ::std::future::Future<Output = #output> + ::std::marker::Send;
            }
        });
        quote! {
            #(#attributes)*
            #visibility trait #name: ::std::marker::Send + ::std::marker::Sync + #static_ {
                #(#methods)*
            }
        }
    }

    fn client(&self) -> TokenStream {
        let Self {
            visibility, name, ..
        } = self;
        let client = format_ident!("{name}Client");
        let about = format!("Calls [`{name}`] of a peer.");
        let constants = self.methods.iter().map(Method::constant);
        let calls = self.methods.iter().map(Method::call);
        let described = self.methods.iter().map(Method::description);
        let service = name.to_string();
        quote! {
            #[doc = #about]
            #[derive(Clone, Debug)]
            #visibility struct #client {
                peer: ::grid_typed::__private::Connection,
            }

            #[allow(dead_code, reason = "a node may use a part of a service")]
            impl #client {
                #(#constants)*

                /// Calls over this connection, under its subroute if it has one.
                #[must_use]
                pub fn new(peer: ::grid_typed::__private::Connection) -> Self {
                    Self { peer }
                }

                #(#calls)*

                /// The ids and shapes of the service, for `grid_typed::golden`.
                #[must_use]
                pub fn describe() -> ::grid_typed::golden::Description {
                    ::grid_typed::golden::Description::new(#service) #(#described)*
                }
            }
        }
    }

    fn server(&self) -> TokenStream {
        let Self {
            visibility, name, ..
        } = self;
        let server = format_ident!("{name}Server");
        let about =
            format!("Serves a [`{name}`]; give it to `grid_typed::ManagerBuilderExt::service`.");
        let handlers = self.methods.iter().map(|method| method.handler(name));
        quote! {
            #[doc = #about]
            #[derive(Debug)]
            #visibility struct #server<S> {
                service: ::std::sync::Arc<S>,
                subroute: ::std::option::Option<::std::string::String>,
            }

            #[allow(dead_code, reason = "a node may use a part of a service")]
            impl<S: #name> #server<S> {
                /// Serves this.
                #[must_use]
                pub fn new(service: S) -> Self {
                    Self::shared(::std::sync::Arc::new(service))
                }

                /// Serves what others hold too.
                #[must_use]
                pub fn shared(service: ::std::sync::Arc<S>) -> Self {
                    Self {
                        service,
                        subroute: ::std::option::Option::None,
                    }
                }

                /// Serves it under a subroute: static text, its parts joined with `/` (protocol section 5).
                #[must_use]
                pub fn subroute(mut self, route: impl ::std::convert::Into<::std::string::String>) -> Self {
                    self.subroute = ::std::option::Option::Some(route.into());
                    self
                }
            }

            impl<S: #name> ::grid_typed::Service for #server<S> {
                fn handlers(self) -> ::std::vec::Vec<::grid_typed::__private::Registration> {
                    let Self { service, subroute } = self;
                    ::std::vec![#(#handlers),*]
                }
            }
        }
    }
}

impl Method {
    /// The types of the definition.
    fn definition_type(&self) -> TokenStream {
        let (_, request) = &self.request;
        match &self.kind {
            Kind::Single(answer) => quote!(::grid_typed::Single<#request, #answer>),
            Kind::Stream(items) => {
                let [input, output] = &**items;
                quote!(::grid_typed::Streaming<#request, #input, #output>)
            }
        }
    }

    fn constant(&self) -> TokenStream {
        let Self {
            constant, options, ..
        } = self;
        let about = format!("The definition of [`{0}`](Self::{0}).", self.name);
        let of = self.definition_type();
        let id = &options.id;
        let value = match options.capacity {
            None => quote!(::grid_typed::Single::new(::grid_typed::HandlerId::new(#id))),
            Some((input, output)) => quote! {
                ::grid_typed::Streaming::new(
                    ::grid_typed::HandlerId::new(#id),
                    ::grid_typed::Capacity::new(#input, #output),
                )
            },
        };
        quote_spanned! { self.options.span =>
            #[doc = #about]
            pub const #constant: #of = #value;
        }
    }

    fn call(&self) -> TokenStream {
        let Self {
            name,
            constant,
            attributes,
            request: (request, request_type),
            ..
        } = self;
        let docs = attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("doc"));
        let (gives, verb) = match &self.kind {
            Kind::Single(answer) => (quote!(::grid_typed::TypedCall<#answer>), quote!(call)),
            Kind::Stream(items) => {
                let [input, output] = &**items;
                (
                    quote!(::grid_typed::TypedOpen<#input, #output>),
                    quote!(open),
                )
            }
        };
        quote_spanned! { name.span() =>
            #(#docs)*
            pub fn #name(&self, #request: &#request_type) -> #gives {
                Self::#constant.#verb(&self.peer, #request)
            }
        }
    }

    fn description(&self) -> TokenStream {
        let id = &self.options.id;
        let name = self.name.to_string();
        let (_, request) = &self.request;
        match (&self.kind, self.options.capacity) {
            (Kind::Stream(items), Some((within, without))) => {
                let [input, output] = &**items;
                // A direction without items has no message.
                let input = match within {
                    0 => quote!(::std::option::Option::None),
                    _ => {
                        quote!(::std::option::Option::Some(::grid_typed::golden::shape::<#input>()))
                    }
                };
                let output = match without {
                    0 => quote!(::std::option::Option::None),
                    _ => {
                        quote!(::std::option::Option::Some(::grid_typed::golden::shape::<#output>()))
                    }
                };
                quote! {
                    .stream(#id, #name, (#within, #without), ::grid_typed::golden::shape::<#request>(), #input, #output)
                }
            }
            (Kind::Single(answer), _) => quote! {
                .single(
                    #id,
                    #name,
                    ::grid_typed::golden::shape::<#request>(),
                    ::grid_typed::golden::shape::<#answer>(),
                )
            },
            (Kind::Stream(..), None) => TokenStream::new(),
        }
    }

    /// The handler as it is registered.
    fn handler(&self, service: &syn::Ident) -> TokenStream {
        let Self {
            name,
            constant,
            options,
            ..
        } = self;
        let client = format_ident!("{service}Client");
        let flags = options.flags.iter().map(|flag| quote!(.#flag()));
        let limit = options.limit.as_ref().map(|limit| quote!(.limit(#limit)));
        quote_spanned! { name.span() =>
            {
                let service = ::std::sync::Arc::clone(&service);
                let mut handler = #client::#constant.handler(move |request, second| {
                    let service = ::std::sync::Arc::clone(&service);
                    async move { #service::#name(&*service, request, second).await }
                }) #(#flags)* #limit;
                if let ::std::option::Option::Some(route) = &subroute {
                    handler = handler.subroute(route.clone());
                }
                ::grid_typed::__private::Registration::from(handler)
            }
        }
    }
}
