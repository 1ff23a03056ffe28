//! Numbers in fixed places of on-disk structures, all of which are little-endian here.

/// Puts a number's bytes at an offset of a structure that is known to be large enough.
pub(crate) trait Put {
    /// 16 bits.
    fn put16(&mut self, offset: usize, value: u16);
    /// 32 bits.
    fn put32(&mut self, offset: usize, value: u32);
    /// 64 bits.
    fn put64(&mut self, offset: usize, value: u64);
    /// Bytes as they are.
    fn put(&mut self, offset: usize, bytes: &[u8]);
}

impl Put for [u8] {
    fn put16(&mut self, offset: usize, value: u16) {
        self.put(offset, &value.to_le_bytes());
    }

    fn put32(&mut self, offset: usize, value: u32) {
        self.put(offset, &value.to_le_bytes());
    }

    fn put64(&mut self, offset: usize, value: u64) {
        self.put(offset, &value.to_le_bytes());
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

/// Reads numbers out of foreign bytes: nothing where they end before.
pub(crate) trait Get {
    /// 16 bits.
    fn get16(&self, offset: usize) -> Option<u16>;
    /// 32 bits.
    fn get32(&self, offset: usize) -> Option<u32>;
    /// 64 bits.
    fn get64(&self, offset: usize) -> Option<u64>;
    /// Some bytes.
    fn get_array<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
}

impl Get for [u8] {
    fn get16(&self, offset: usize) -> Option<u16> {
        self.get_array(offset).map(u16::from_le_bytes)
    }

    fn get32(&self, offset: usize) -> Option<u32> {
        self.get_array(offset).map(u32::from_le_bytes)
    }

    fn get64(&self, offset: usize) -> Option<u64> {
        self.get_array(offset).map(u64::from_le_bytes)
    }

    fn get_array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }
}
