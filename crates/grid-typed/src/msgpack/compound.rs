//! Arrays and maps that are being written.

use serde::ser::{self, Serialize};

use super::encode::{Serializer, length};
use super::writer;
use crate::EncodeError;

#[derive(Clone, Copy)]
pub(super) enum Shape {
    Array,
    Map,
}

impl Shape {
    #[inline]
    pub(super) fn write(self, out: &mut Vec<u8>, len: u32) {
        match self {
            Self::Array => writer::array_len(out, len),
            Self::Map => writer::map_len(out, len),
        }
    }
}

/// An array or map that is being written.
pub(super) struct Compound<'s, 'o> {
    serializer: &'s mut Serializer<'o>,
    shape: Shape,
    /// Where its header stands, how long that is and what it says.
    start: usize,
    header: usize,
    declared: u32,
    /// Elements or pairs written.
    count: usize,
    /// Levels that its end closes: a variant's contents stand in two.
    closes: usize,
}

impl<'s, 'o> Compound<'s, 'o> {
    /// Writes the header. A length that isn't known is put right at the end.
    #[inline]
    pub(super) fn open(
        serializer: &'s mut Serializer<'o>,
        shape: Shape,
        len: Option<usize>,
        closes: usize,
    ) -> Result<Self, EncodeError> {
        let start = serializer.out.len();
        let declared = length(len.unwrap_or(0))?;
        shape.write(serializer.out, declared);
        let header = serializer.out.len() - start;
        Ok(Self {
            serializer,
            shape,
            start,
            header,
            declared,
            count: 0,
            closes,
        })
    }

    #[inline]
    fn write<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        value.serialize(&mut *self.serializer)
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.count += 1;
        self.write(value)
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.element(name)?;
        self.write(value)
    }

    #[inline]
    fn close(self) -> Result<(), EncodeError> {
        self.serializer.levels_left += self.closes;
        if self.count == self.declared as usize {
            return Ok(());
        }
        self.correct()
    }

    /// A length may have been unknown, or wrong, and a wrong header would damage all that follows.
    #[cold]
    fn correct(self) -> Result<(), EncodeError> {
        let mut header = Vec::new();
        self.shape.write(&mut header, length(self.count)?);
        let stood = self.start..self.start + self.header;
        self.serializer.out.splice(stood, header);
        Ok(())
    }
}

macro_rules! elements {
    ($($of:ident $method:ident),*) => {$(
        impl ser::$of for Compound<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
                self.element(value)
            }

            #[inline]
            fn end(self) -> Result<(), EncodeError> {
                self.close()
            }
        }
    )*};
}

macro_rules! fields {
    ($($of:ident),*) => {$(
        impl ser::$of for Compound<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), EncodeError> {
                self.field(name, value)
            }

            #[inline]
            fn end(self) -> Result<(), EncodeError> {
                self.close()
            }
        }
    )*};
}

elements!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);
fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        self.element(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.write(value)
    }

    #[inline]
    fn end(self) -> Result<(), EncodeError> {
        self.close()
    }
}
