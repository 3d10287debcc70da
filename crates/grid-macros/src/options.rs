//! What stands in `#[handler(...)]`.

use proc_macro2::Span;
use syn::{Attribute, Error, Ident, LitInt, Result, ext::IdentExt, meta::ParseNestedMeta};

/// The options of one handler.
pub(crate) struct Options {
    /// Where the attribute stands.
    pub(crate) span: Span,
    pub(crate) id: LitInt,
    /// The capacities, where it is a stream.
    pub(crate) capacity: Option<(u32, u32)>,
    /// Calls of options without a value, in the order in which they stand.
    pub(crate) flags: Vec<Ident>,
    pub(crate) limit: Option<LitInt>,
}

const SINGLE: [&str; 3] = ["abort_on_cancel", "blocking", "urgent"];
const STREAM: [&str; 3] = ["blocking", "detached", "urgent"];

impl Options {
    /// Reads the attribute of the method with this name, and takes it out.
    pub(crate) fn take(attributes: &mut Vec<Attribute>, method: &Ident) -> Result<Self> {
        let mut of_handler =
            attributes.extract_if(.., |attribute| attribute.path().is_ident("handler"));
        let Some(attribute) = of_handler.next() else {
            return Err(Error::new(
                method.span(),
                format!("`{method}` needs an id: write `#[handler(id = N)]` above it"),
            ));
        };
        if let Some(second) = of_handler.next() {
            return Err(Error::new_spanned(
                second,
                format!("`{method}` has two `#[handler]` attributes"),
            ));
        }
        drop(of_handler);
        let mut raw = Raw::default();
        attribute.parse_nested_meta(|meta| raw.read(&meta))?;
        raw.finish(&attribute, method)
    }
}

#[derive(Default)]
struct Raw {
    id: Option<LitInt>,
    input: Option<u32>,
    output: Option<u32>,
    limit: Option<LitInt>,
    flags: Vec<Ident>,
}

impl Raw {
    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let Some(name) = meta.path.get_ident() else {
            return Err(meta.error("an option is one word"));
        };
        let text = name.unraw().to_string();
        let number = || meta.value()?.parse::<LitInt>();
        let twice = || meta.error(format!("`{text}` stands twice"));
        match text.as_str() {
            "id" => {
                let id = number()?;
                match id.base10_parse::<u8>() {
                    Ok(1..) => {}
                    _ => {
                        return Err(Error::new(id.span(), "an id is a number from 1 to 255"));
                    }
                }
                self.id.replace(id).map_or(Ok(()), |_| Err(twice()))
            }
            "limit" => {
                let limit = number()?;
                if limit.base10_parse::<u32>().ok().is_none_or(|limit| limit == 0) {
                    return Err(Error::new(limit.span(), "a limit is a number from 1 on"));
                }
                self.limit.replace(limit).map_or(Ok(()), |_| Err(twice()))
            }
            "input" | "output" => {
                let capacity = number()?.base10_parse::<u32>()?;
                let of = match text.as_str() {
                    "input" => &mut self.input,
                    _ => &mut self.output,
                };
                of.replace(capacity).map_or(Ok(()), |_| Err(twice()))
            }
            _ if SINGLE.contains(&text.as_str()) || STREAM.contains(&text.as_str()) => {
                if self.flags.contains(name) {
                    return Err(twice());
                }
                self.flags.push(name.clone());
                Ok(())
            }
            _ => Err(meta.error(format!(
                "there is no option `{text}`: there are id, input, output, limit, abort_on_cancel, blocking, detached \
                 and urgent"
            ))),
        }
    }

    fn finish(self, attribute: &Attribute, method: &Ident) -> Result<Options> {
        let Some(id) = self.id else {
            return Err(Error::new_spanned(
                attribute,
                format!("`{method}` needs an id: `id = N`, from 1 to 255"),
            ));
        };
        let capacity = match (self.input, self.output) {
            (None, None) => None,
            (None | Some(0), None | Some(0)) => {
                return Err(Error::new_spanned(
                    attribute,
                    format!(
                        "`{method}` is a stream without items: one of its capacities must be more than 0"
                    ),
                ));
            }
            (input, output) => Some((input.unwrap_or(0), output.unwrap_or(0))),
        };
        let (known, kind): (&[&str], _) = match capacity {
            None => (&SINGLE, "single requests"),
            Some(_) => (&STREAM, "streams"),
        };
        for flag in &self.flags {
            if !known.contains(&flag.unraw().to_string().as_str()) {
                return Err(Error::new(
                    flag.span(),
                    format!("`{flag}` is no option of {kind}"),
                ));
            }
        }
        Ok(Options {
            span: attribute.pound_token.spans[0],
            id,
            capacity,
            flags: self.flags,
            limit: self.limit,
        })
    }
}
