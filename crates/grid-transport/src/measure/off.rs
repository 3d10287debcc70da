//! Nothing.

use std::sync::Arc;

use super::CallKind;
use crate::{error::CallError, state::LinkState, stream::Pipe};

pub(crate) struct NodeMeasure;

impl NodeMeasure {
    pub(crate) fn new(_local: &Arc<str>, _path: &Arc<str>) -> Self {
        Self
    }

    pub(crate) fn link(&self, _name: &Arc<str>) -> LinkMeasure {
        LinkMeasure
    }

    pub(crate) fn changed(&self, _before: &LinkState, _after: &LinkState) {}
}

pub(crate) struct LinkMeasure;

#[derive(Debug)]
pub(crate) struct CallMeasure;

impl CallMeasure {
    pub(crate) const fn none() -> Self {
        Self
    }

    pub(crate) fn begin(_link: &LinkMeasure, _kind: CallKind) -> Self {
        Self
    }

    pub(crate) fn end(&mut self, _error: Option<&CallError>) {}

    pub(crate) fn over(&mut self, _pipe: &Pipe) {}
}
