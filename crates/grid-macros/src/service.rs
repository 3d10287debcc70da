//! The whole trait.

use std::collections::HashMap;

use proc_macro2::TokenStream;
use syn::{Attribute, Error, Ident, ItemTrait, Result, TraitItem, Visibility};

use crate::method::Method;

/// A trait, taken apart.
pub(crate) struct Service {
    /// Its docs, and whatever else stands above it.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    pub(crate) methods: Vec<Method>,
}

impl Service {
    pub(crate) fn read(arguments: TokenStream, item: TokenStream) -> Result<Self> {
        if !arguments.is_empty() {
            return Err(Error::new_spanned(
                arguments,
                "`service` takes no arguments",
            ));
        }
        let item: ItemTrait = syn::parse2(item).map_err(|error| {
            Error::new(
                error.span(),
                format!("`service` stands above a trait: {error}"),
            )
        })?;
        if !item.generics.params.is_empty() || item.generics.where_clause.is_some() {
            return Err(Error::new(
                item.ident.span(),
                "a service can't be generic: its ids and types are fixed",
            ));
        }
        if item.unsafety.is_some() || item.auto_token.is_some() {
            return Err(Error::new(item.ident.span(), "a service is a plain trait"));
        }
        if !item.supertraits.is_empty() {
            return Err(Error::new_spanned(
                &item.supertraits,
                "a service has no supertraits; `Send + Sync + 'static` is added",
            ));
        }
        let mut methods: Vec<Method> = Vec::new();
        let mut errors: Option<Error> = None;
        // All mistakes at once.
        let mut failed = |error: Error| match &mut errors {
            Some(errors) => errors.combine(error),
            None => errors = Some(error),
        };
        for item in item.items {
            match item {
                TraitItem::Fn(method) => match Method::read(method) {
                    Ok(method) => methods.push(method),
                    Err(error) => failed(error),
                },
                other => failed(Error::new_spanned(other, "a service has only methods")),
            }
        }
        let mut ids = HashMap::new();
        for method in &methods {
            let id = &method.options.id;
            let Ok(number) = id.base10_parse::<u8>() else {
                continue;
            };
            if let Some(other) = ids.insert(number, &method.name) {
                let name = &method.name;
                failed(Error::new(
                    id.span(),
                    format!("`{name}` has the id {number}, which `{other}` has already"),
                ));
            }
        }
        let mut constants = HashMap::new();
        for method in &methods {
            if let Some(other) = constants.insert(method.constant.to_string(), &method.name) {
                let name = &method.name;
                failed(Error::new(
                    name.span(),
                    format!(
                        "`{name}` and `{other}` differ only in their case, and their definitions have one name"
                    ),
                ));
            }
        }
        match errors {
            Some(errors) => Err(errors),
            None => Ok(Self {
                attributes: item.attrs,
                visibility: item.vis,
                name: item.ident,
                methods,
            }),
        }
    }
}
