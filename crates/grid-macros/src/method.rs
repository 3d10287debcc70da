//! One handler: a method of the trait.

use quote::format_ident;
use syn::{
    Attribute, Error, FnArg, GenericArgument, Ident, Pat, PathArguments, Result, ReturnType,
    TraitItemFn, Type, ext::IdentExt, spanned::Spanned,
};

use crate::options::Options;

/// What a stream's handler is called with besides the value that opens it.
const STREAM_CALL: &str = "TypedStreamCall";

/// What the client has besides the calls.
const TAKEN: [&str; 2] = ["describe", "new"];

/// A method, taken apart.
pub(crate) struct Method {
    /// Its docs, and whatever else stands above it.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) name: Ident,
    /// As the constant with its definition is called.
    pub(crate) constant: Ident,
    pub(crate) options: Options,
    /// Name and type of the request, or of the value that opens the stream.
    pub(crate) request: (Ident, Type),
    /// The same of the context, or of the stream.
    pub(crate) second: (Ident, Type),
    /// What the method gives.
    pub(crate) output: Type,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    /// With the type of the answer.
    Single(Box<Type>),
    /// With the types of the items in and out.
    Stream(Box<[Type; 2]>),
}

impl Method {
    pub(crate) fn read(mut method: TraitItemFn) -> Result<Self> {
        let signature = &method.sig;
        let name = signature.ident.clone();
        let options = Options::take(&mut method.attrs, &name)?;
        if signature.asyncness.is_none() {
            return Err(Error::new(
                signature.fn_token.span,
                format!("`{name}` must be an `async fn`"),
            ));
        }
        if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
            return Err(Error::new(
                name.span(),
                format!("`{name}` can't be generic: there is one handler for its id"),
            ));
        }
        if signature.unsafety.is_some() || signature.abi.is_some() || signature.constness.is_some()
        {
            return Err(Error::new(
                name.span(),
                format!("`{name}` must be a plain `async fn`"),
            ));
        }
        // What is there in some builds only would be written in all.
        let conditional = method.attrs.iter().find(|attribute| {
            attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
        });
        if let Some(attribute) = conditional {
            return Err(Error::new_spanned(
                attribute,
                format!("`{name}` can't depend on the build: all nodes have the same ids"),
            ));
        }
        if TAKEN.contains(&name.unraw().to_string().as_str()) {
            return Err(Error::new(
                name.span(),
                format!("`{name}` is a function of the client already"),
            ));
        }
        if let Some(body) = &method.default {
            return Err(Error::new_spanned(
                body,
                format!("`{name}` can't have a body: whoever implements the trait gives it one"),
            ));
        }
        let mut inputs = signature.inputs.iter();
        match inputs.next() {
            Some(FnArg::Receiver(receiver))
                if receiver.reference.is_some() && receiver.mutability.is_none() => {}
            other => {
                return Err(Error::new(
                    other.map_or_else(|| signature.paren_token.span.span(), Spanned::span),
                    format!("`{name}` must take `&self`: its calls run beside each other"),
                ));
            }
        }
        let expected = match options.capacity {
            None => "`&self`, the request and a `Context`".to_owned(),
            Some(_) => {
                format!("`&self`, the value that opens the stream and a `{STREAM_CALL}<In, Out>`")
            }
        };
        let (Some(request), Some(second), None) = (inputs.next(), inputs.next(), inputs.next())
        else {
            return Err(Error::new_spanned(
                &signature.inputs,
                format!("`{name}` must take {expected}"),
            ));
        };
        let (request, second) = (argument(request)?, argument(second)?);
        let (output, answer) = answer(&signature.output, &name)?;
        let kind = match options.capacity {
            None => Kind::Single(Box::new(answer)),
            Some(_) => {
                let Some(items) = generics(&second.1, STREAM_CALL) else {
                    return Err(Error::new_spanned(
                        &second.1,
                        format!("`{name}` is a stream: it must take {expected}"),
                    ));
                };
                if !matches!(&answer, Type::Tuple(unit) if unit.elems.is_empty()) {
                    return Err(Error::new_spanned(
                        &answer,
                        format!("`{name}` is a stream: it answers by its items, and gives `()`"),
                    ));
                }
                Kind::Stream(Box::new(items))
            }
        };
        Ok(Self {
            constant: format_ident!(
                "{}",
                name.unraw().to_string().to_uppercase(),
                span = name.span()
            ),
            attributes: method.attrs,
            name,
            options,
            request,
            second,
            output,
            kind,
        })
    }
}

fn argument(argument: &FnArg) -> Result<(Ident, Type)> {
    if let FnArg::Typed(typed) = argument
        && let Pat::Ident(name) = &*typed.pat
    {
        if let Type::Reference(_) = &*typed.ty {
            return Err(Error::new_spanned(
                &typed.ty,
                "what comes over the wire is the handler's own: take it without `&`",
            ));
        }
        return Ok((name.ident.clone(), (*typed.ty).clone()));
    }
    Err(Error::new_spanned(
        argument,
        "an argument is a name and a type",
    ))
}

/// What the method gives, and what of it is the answer.
fn answer(output: &ReturnType, name: &Ident) -> Result<(Type, Type)> {
    let wrong = |span: proc_macro2::Span| {
        let text = format!("`{name}` must give a `Result<T, HandlerError>`");
        Error::new(span, text)
    };
    let ReturnType::Type(_, output) = output else {
        return Err(wrong(name.span()));
    };
    let [answer, _] = generics(output, "Result").ok_or_else(|| wrong(output.span()))?;
    Ok(((**output).clone(), answer))
}

/// The two type arguments of a type with this name.
fn generics(of: &Type, name: &str) -> Option<[Type; 2]> {
    let Type::Path(path) = of else {
        return None;
    };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let types: Vec<Type> = arguments
        .args
        .iter()
        .filter_map(|argument| match argument {
            GenericArgument::Type(of) => Some(of.clone()),
            _ => None,
        })
        .collect();
    (last.ident == name).then_some(())?;
    types.try_into().ok()
}
