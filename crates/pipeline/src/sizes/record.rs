//! `catalog/sizes/<universe>.json`: how large each image was when it was recorded last. One line an image and
//! architecture, sorted, so that a review shows what grew.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use calypte_base::Architecture;
use serde::{Deserialize, Serialize};

/// The form of the record.
pub const SCHEMA: &str = "calypte.sizes/1";

/// How large one image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Bytes to download: the compressed layers.
    pub download: u64,
    /// Bytes of the layers as tar archives.
    pub unpacked: u64,
    /// How many packages are in it.
    pub packages: usize,
}

/// The sizes of a universe's images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SizeRecord {
    /// [`SCHEMA`].
    pub schema: String,
    /// The universe.
    pub universe: String,
    /// What compressed the layers, with its version and level: downloads are compared under the same one only.
    pub compressor: String,
    /// Image (`python:3.14-builder`) → architecture → size.
    pub images: BTreeMap<String, BTreeMap<Architecture, Size>>,
}

impl SizeRecord {
    /// Reads a record.
    ///
    /// # Errors
    /// When it is none, or of another form.
    pub fn parse(text: &str) -> Result<Self> {
        let record: Self = serde_json::from_str(text).context("this is no record of sizes")?;
        if record.schema != SCHEMA {
            bail!("this record has the form `{}`, and this program reads `{SCHEMA}`", record.schema);
        }
        Ok(record)
    }

    /// The record as it is kept.
    ///
    /// # Errors
    /// Never in practice: names and numbers always have a JSON form.
    pub fn to_text(&self) -> Result<String> {
        let quoted = |text: &str| serde_json::to_string(text);
        let images = self.images.iter().map(|(image, architectures)| {
            let sizes = architectures.iter().map(|(architecture, Size { download, unpacked, packages })| {
                format!(
                    "      \"{architecture}\": {{\"download\": {download}, \"unpacked\": {unpacked}, \"packages\": {packages}}}"
                )
            });
            let sizes = sizes.collect::<Vec<_>>().join(",\n");
            Ok(format!("    {}: {{\n{sizes}\n    }}", quoted(image)?))
        });
        let images = images.collect::<Result<Vec<_>>>()?.join(",\n");
        Ok(format!(
            "{{\n  \"schema\": {},\n  \"universe\": {},\n  \"compressor\": {},\n  \"images\": {{\n{images}\n  }}\n}}\n",
            quoted(&self.schema)?,
            quoted(&self.universe)?,
            quoted(&self.compressor)?
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_an_image_and_read_back() {
        let size = |download| Size { download, unpacked: 2 * download, packages: 3 };
        let of = |sizes: &[(Architecture, u64)]| {
            sizes.iter().map(|(name, download)| (*name, size(*download))).collect()
        };
        let record = SizeRecord {
            schema: SCHEMA.to_owned(),
            universe: "sample".to_owned(),
            compressor: "zstd 19 \"x\"".to_owned(),
            images: BTreeMap::from([
                ("beta".to_owned(), of(&[(Architecture::Amd64, 7)])),
                ("alpha".to_owned(), of(&[(Architecture::Arm64, 6), (Architecture::Amd64, 5)])),
            ]),
        };
        let text = record.to_text().unwrap();
        assert_eq!(SizeRecord::parse(&text).unwrap(), record);
        assert_eq!(
            text,
            r#"{
  "schema": "calypte.sizes/1",
  "universe": "sample",
  "compressor": "zstd 19 \"x\"",
  "images": {
    "alpha": {
      "amd64": {"download": 5, "unpacked": 10, "packages": 3},
      "arm64": {"download": 6, "unpacked": 12, "packages": 3}
    },
    "beta": {
      "amd64": {"download": 7, "unpacked": 14, "packages": 3}
    }
  }
}
"#
        );
        let other = text.replace("sizes/1", "sizes/2");
        assert!(SizeRecord::parse(&other).unwrap_err().to_string().contains("calypte.sizes/2"));
        assert!(SizeRecord::parse(&text.replace("packages", "parcels")).is_err());
    }
}
