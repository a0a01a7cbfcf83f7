//! The checksums that S3 accepts beside MD5 and SHA-256, computed from their polynomials, eight bytes at once.

/// A cyclic redundancy check under way.
#[derive(Debug, Clone)]
pub struct Crc {
    kind: Kind,
    /// What a byte adds that is followed by so many others.
    tables: Box<[[u64; 256]; 8]>,
    state: u64,
}

/// Which check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
}

impl Kind {
    /// The reflected polynomial.
    fn polynomial(self) -> u64 {
        match self {
            Self::Crc32 => 0xedb8_8320,
            Self::Crc32c => 0x82f6_3b78,
            Self::Crc64Nvme => 0x9a6c_9329_ac4b_c9b5,
        }
    }

    fn mask(self) -> u64 {
        match self {
            Self::Crc32 | Self::Crc32c => 0xffff_ffff,
            Self::Crc64Nvme => u64::MAX,
        }
    }
}

impl Crc {
    /// Of nothing yet.
    pub fn new(kind: Kind) -> Self {
        let mut tables = Box::new([[0; 256]; 8]);
        for (value, entry) in (0_u64..).zip(tables[0].iter_mut()) {
            *entry = (0..8).fold(value, |rest, _| {
                if rest & 1 == 1 {
                    (rest >> 1) ^ kind.polynomial()
                } else {
                    rest >> 1
                }
            });
        }
        for following in 1..8 {
            for value in 0..256 {
                let before = tables[following - 1][value];
                let [low, ..] = before.to_le_bytes();
                tables[following][value] = tables[0][usize::from(low)] ^ (before >> 8);
            }
        }
        Self {
            kind,
            tables,
            state: kind.mask(),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            let mixed = (self.state ^ u64::from_le_bytes(*eight)).to_le_bytes();
            self.state = mixed
                .iter()
                .zip(self.tables.iter().rev())
                .fold(0, |state, (byte, table)| state ^ table[usize::from(*byte)]);
        }
        for byte in rest {
            let [low, ..] = self.state.to_le_bytes();
            self.state = self.tables[0][usize::from(low ^ byte)] ^ (self.state >> 8);
        }
    }

    /// The check's bytes, big-endian, as S3 encodes them.
    pub fn value(&self) -> Vec<u8> {
        let value = (self.state ^ self.kind.mask()).to_be_bytes();
        match self.kind {
            Kind::Crc32 | Kind::Crc32c => value[4..].to_vec(),
            Kind::Crc64Nvme => value.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Crc, Kind};

    /// The check values of the catalogue of parametrised CRC algorithms.
    #[test]
    fn each_check_gives_its_catalogued_value() {
        for (kind, expected) in [
            (Kind::Crc32, 0xcbf4_3926_u64),
            (Kind::Crc32c, 0xe306_9283),
            (Kind::Crc64Nvme, 0xae8b_1486_0a79_9888),
        ] {
            let mut crc = Crc::new(kind);
            crc.update(b"1234");
            crc.update(b"56789");
            let mut at_once = Crc::new(kind);
            at_once.update(b"123456789");
            assert_eq!(at_once.value(), crc.value(), "{kind:?}");
            let value = crc
                .value()
                .iter()
                .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
            assert_eq!(value, expected, "{kind:?}");
        }
    }
}
