//! Values as bytes: little-endian numbers, texts and lists with their length before them.
//!
//! Owns the form of everything that the holder sends, keeps in its journal or hands to its successor. Reading never
//! trusts a length and never panics. Only the holder's files enter.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// A value that can be written as bytes and read again.
pub(super) trait Field: Sized {
    /// Append it.
    fn put(&self, out: &mut Vec<u8>);
    /// Take it from the front; `None` when the bytes are no such value.
    fn take(from: &mut Reader<'_>) -> Option<Self>;
}

/// Bytes that are still to be read.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// All of these.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `count` bytes; `None` when there are fewer.
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// How many are left.
    pub(super) fn left(&self) -> usize {
        self.0.len()
    }
}

/// A value from these bytes; what follows it belongs to a newer version and is left alone.
pub(super) fn read<T: Field>(bytes: &[u8]) -> Option<T> {
    T::take(&mut Reader::new(bytes))
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(from: &mut Reader<'_>) -> Option<Self> {
                from.bytes(size_of::<Self>())?.try_into().ok().map(Self::from_le_bytes)
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, i32);

/// The form of a structure: its fields one after the other. A field that is added shows as an error of the compiler.
macro_rules! fields {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::platform::linux::holder::bytes::Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($crate::platform::linux::holder::bytes::Field::put($field, out);)*
                let _ = out;
            }

            fn take(from: &mut $crate::platform::linux::holder::bytes::Reader<'_>) -> Option<Self> {
                let _ = &from;
                Some(Self { $($field: $crate::platform::linux::holder::bytes::Field::take(from)?),* })
            }
        }
    };
}
pub(super) use fields;

impl Field for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    // Nothing that is sent comes near 4 GiB; a longer text would be refused by its reader.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).put(out);
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(from: &mut Reader<'a>) -> Option<&'a [u8]> {
    let count = u32::take(from)?;
    from.bytes(usize::try_from(count).ok()?)
}

impl Field for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self.as_bytes(), out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        std::str::from_utf8(take_bytes(from)?).ok().map(str::to_owned)
    }
}

impl Field for PathBuf {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self.as_os_str().as_bytes(), out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        take_bytes(from).map(|bytes| OsString::from_vec(bytes.to_vec()).into())
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        u32::try_from(self.len()).unwrap_or(u32::MAX).put(out);
        self.iter().for_each(|value| value.put(out));
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let count = usize::try_from(u32::take(from)?).ok()?;
        // Every value takes a byte at least, so a count beyond what is left is a lie and reserves nothing.
        let mut values = Self::with_capacity(count.min(from.left() / size_of::<T>().max(1)));
        for _ in 0..count {
            values.push(T::take(from)?);
        }
        Some(values)
    }
}

impl<T: Field> Field for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        T::put(self, out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        T::take(from).map(Self::new)
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        if bool::take(from)? { T::take(from).map(Some) } else { Some(None) }
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        Some((A::take(from)?, B::take(from)?))
    }
}
