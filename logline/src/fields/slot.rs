//! Where a field's bytes are: in the record, or in the scratch buffer that holds decoded text.

/// Where the bytes of one field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The record has no such field.
    Absent,
    /// In the record as it stands.
    Record {
        /// Position of its first byte in the record.
        start: u32,
        /// Bytes.
        len: u32,
    },
    /// Decoded into the scratch buffer.
    Scratch {
        /// Position of its first byte in the scratch buffer.
        start: u32,
        /// Bytes.
        len: u32,
    },
}

/// What is known of a record's lines before fields are cut out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// It has only one: there is no line end in it.
    One,
    /// It may have any number.
    Any,
}

impl Slot {
    /// The field's bytes, `None` if absent. `record` and `scratch` are those that the slot was cut from.
    #[inline]
    pub fn bytes<'a>(self, record: &'a [u8], scratch: &'a Scratch) -> Option<&'a [u8]> {
        match self {
            Slot::Absent => None,
            Slot::Record { start, len } => record.get(start as usize..start as usize + len as usize),
            Slot::Scratch { start, len } => scratch.0.get(start as usize..start as usize + len as usize),
        }
    }

    /// The record's bytes from `start` to `end`, which the limits of an extractor keep within 32 bits.
    #[inline]
    pub(super) fn of_record(start: usize, end: usize) -> Slot {
        debug_assert!(start <= end && end <= super::RECORD_BYTES_MAX);
        Slot::Record {
            start: start as u32,
            len: (end - start) as u32,
        }
    }
}

/// Text that a record's own bytes don't hold: decoded escapes. Cleared for each record, its memory used again.
#[derive(Debug, Default)]
pub struct Scratch(Vec<u8>);

impl Scratch {
    /// Whether nothing was decoded: then no slot is in here.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets the record before.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Where decoders append to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// What `write` appends, as a slot.
    pub(super) fn slot(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Slot {
        let start = self.0.len();
        write(&mut self.0);
        debug_assert!(u32::try_from(self.0.len()).is_ok());
        Slot::Scratch {
            start: start as u32,
            len: (self.0.len() - start) as u32,
        }
    }
}
