//! Numbers of the tags that are read here, as rpm's `rpmtag.h` gives them.

/// Region of a signature header (`HEADERSIGNATURES`).
pub const SIGNATURES_REGION: u32 = 62;
/// Region of a main header (`HEADERIMMUTABLE`).
pub const IMMUTABLE_REGION: u32 = 63;
/// What old signers left at the end of the region of a signature header (`HEADERIMAGE`).
pub const IMAGE_REGION: u32 = 61;
/// The locales of translated texts.
pub const I18N_TABLE: u32 = 100;

/// In a signature header: DSA, ECDSA or EdDSA signature over the main header, binary OpenPGP.
pub const DSA_HEADER: u32 = 267;
/// In a signature header: RSA signature over the main header, binary OpenPGP.
pub const RSA_HEADER: u32 = 268;
/// In a signature header: size of header and payload, where it is larger than 4 GiB.
pub const LONG_SIGNATURE_SIZE: u32 = 270;
/// In a signature header: size of the unpacked payload, likewise.
pub const LONG_ARCHIVE_SIZE: u32 = 271;
/// In a signature header: IMA signatures of the files, in hex.
pub const SIGNATURE_FILE_SIGNATURES: u32 = 274;
/// In a signature header: length of each of these.
pub const SIGNATURE_FILE_SIGNATURE_LENGTH: u32 = 275;
/// In a signature header: fs-verity signatures of the files, in base64.
pub const VERITY_SIGNATURES: u32 = 276;
/// In a signature header: the hash of these.
pub const VERITY_SIGNATURE_ALGORITHM: u32 = 277;
/// In a signature header: SHA-1 of the main header, in hex.
pub const SHA1_HEADER: u32 = 269;
/// In a signature header: SHA-256 of the main header, in hex.
pub const SHA256_HEADER: u32 = 273;
/// In a signature header of format 6: OpenPGP signatures over the main header, each in base64.
pub const OPENPGP: u32 = 278;
/// In a signature header of format 6: SHA3-256 of the main header, in hex.
pub const SHA3_256_HEADER: u32 = 279;
/// In a signature header: size of header and payload.
pub const SIGNATURE_SIZE: u32 = 1000;
/// In a signature header: MD5 of header and payload.
pub const SIGNATURE_MD5: u32 = 1004;
/// In a signature header: size of the unpacked payload.
pub const SIGNATURE_PAYLOAD_SIZE: u32 = 1007;
/// In a signature header: RSA signature over main header and payload; obsolete.
pub const SIGNATURE_PGP: u32 = 1002;
/// In a signature header: DSA signature over main header and payload; obsolete.
pub const SIGNATURE_GPG: u32 = 1005;

/// Name of the package.
pub const NAME: u32 = 1000;
/// Version.
pub const VERSION: u32 = 1001;
/// Release.
pub const RELEASE: u32 = 1002;
/// Epoch, a number.
pub const EPOCH: u32 = 1003;
/// Time of the build in seconds since 1970.
pub const BUILD_TIME: u32 = 1006;
/// Size of all files in bytes.
pub const SIZE: u32 = 1009;
/// Licence.
pub const LICENSE: u32 = 1014;
/// Architecture.
pub const ARCHITECTURE: u32 = 1022;
/// `%pre`, the text.
pub const PRE: u32 = 1023;
/// `%post`, the text.
pub const POST: u32 = 1024;
/// `%preun`, the text.
pub const PREUN: u32 = 1025;
/// `%postun`, the text.
pub const POSTUN: u32 = 1026;
/// Whole paths, in very old packages.
pub const OLD_FILE_NAMES: u32 = 1027;
/// Sizes of the files.
pub const FILE_SIZES: u32 = 1028;
/// In an installed header: for each file one byte that says what became of it, 0 where it is there.
pub const FILE_STATES: u32 = 1029;
/// Modes of the files.
pub const FILE_MODES: u32 = 1030;
/// Device numbers of device nodes.
pub const FILE_RDEVS: u32 = 1033;
/// Modification times.
pub const FILE_MTIMES: u32 = 1034;
/// Digests of the contents, in hex.
pub const FILE_DIGESTS: u32 = 1035;
/// Targets of symbolic links.
pub const FILE_LINK_TOS: u32 = 1036;
/// What kind of file each is (`%config`, `%doc`, …).
pub const FILE_FLAGS: u32 = 1037;
/// Owners by name.
pub const FILE_USER_NAME: u32 = 1039;
/// Groups by name.
pub const FILE_GROUP_NAME: u32 = 1040;
/// File name of the source package.
pub const SOURCE_RPM: u32 = 1044;
/// Names that the package provides.
pub const PROVIDE_NAME: u32 = 1047;
/// Trigger scripts.
pub const TRIGGER_SCRIPTS: u32 = 1065;
/// Packages that triggers wait for.
pub const TRIGGER_NAME: u32 = 1066;
/// Versions that triggers wait for.
pub const TRIGGER_VERSION: u32 = 1067;
/// Comparisons and kinds of triggers.
pub const TRIGGER_FLAGS: u32 = 1068;
/// For each condition, its script.
pub const TRIGGER_INDEX: u32 = 1069;
/// `%verifyscript`, the text.
pub const VERIFY_SCRIPT: u32 = 1079;
/// `%pre`, the interpreter.
pub const PRE_PROGRAM: u32 = 1085;
/// `%post`, the interpreter.
pub const POST_PROGRAM: u32 = 1086;
/// `%preun`, the interpreter.
pub const PREUN_PROGRAM: u32 = 1087;
/// `%postun`, the interpreter.
pub const POSTUN_PROGRAM: u32 = 1088;
/// `%verifyscript`, the interpreter.
pub const VERIFY_PROGRAM: u32 = 1091;
/// Interpreters of trigger scripts.
pub const TRIGGER_PROGRAMS: u32 = 1092;
/// Devices that held the files; with the inode, this tells hard links.
pub const FILE_DEVICES: u32 = 1095;
/// Inodes of the files.
pub const FILE_INODES: u32 = 1096;
/// There in source packages only.
pub const SOURCE_PACKAGE: u32 = 1106;
/// Versions of what the package provides.
pub const PROVIDE_VERSION: u32 = 1113;
/// For each file, the number of its directory.
pub const DIRECTORY_INDEXES: u32 = 1116;
/// File names without directories.
pub const BASE_NAMES: u32 = 1117;
/// Directories, each with a slash at its end.
pub const DIRECTORY_NAMES: u32 = 1118;
/// Format of the payload: `cpio`.
pub const PAYLOAD_FORMAT: u32 = 1124;
/// Compression of the payload.
pub const PAYLOAD_COMPRESSOR: u32 = 1125;
/// `%pretrans`, the text.
pub const PRETRANS: u32 = 1151;
/// `%posttrans`, the text.
pub const POSTTRANS: u32 = 1152;
/// `%pretrans`, the interpreter.
pub const PRETRANS_PROGRAM: u32 = 1153;
/// `%posttrans`, the interpreter.
pub const POSTTRANS_PROGRAM: u32 = 1154;
/// Sizes of the files, where one is larger than 4 GiB or the package of format 6.
pub const LONG_FILE_SIZES: u32 = 5008;
/// Size of all files in bytes, likewise.
pub const LONG_SIZE: u32 = 5009;
/// Capabilities as text.
pub const FILE_CAPS: u32 = 5010;
/// Which hash [`FILE_DIGESTS`] are of, by OpenPGP's number.
pub const FILE_DIGEST_ALGORITHM: u32 = 5011;
/// `%filetrigger…`, the texts.
pub const FILE_TRIGGER_SCRIPTS: u32 = 5066;
/// `%filetrigger…`, the interpreters.
pub const FILE_TRIGGER_PROGRAMS: u32 = 5067;
/// Path prefixes that file triggers wait for.
pub const FILE_TRIGGER_NAME: u32 = 5069;
/// For each prefix, its script.
pub const FILE_TRIGGER_INDEX: u32 = 5070;
/// Kinds of file triggers.
pub const FILE_TRIGGER_FLAGS: u32 = 5072;
/// `%transfiletrigger…`, the texts.
pub const TRANS_FILE_TRIGGER_SCRIPTS: u32 = 5076;
/// `%transfiletrigger…`, the interpreters.
pub const TRANS_FILE_TRIGGER_PROGRAMS: u32 = 5077;
/// Path prefixes that these wait for.
pub const TRANS_FILE_TRIGGER_NAME: u32 = 5079;
/// For each prefix, its script.
pub const TRANS_FILE_TRIGGER_INDEX: u32 = 5080;
/// Kinds of these.
pub const TRANS_FILE_TRIGGER_FLAGS: u32 = 5082;
/// SHA-256 of the compressed payload, in hex (`PAYLOADDIGEST`, later `PAYLOADSHA256`).
pub const PAYLOAD_DIGEST: u32 = 5092;
/// Which hash [`PAYLOAD_DIGEST`] is, by OpenPGP's number; SHA-256 where it is missing.
pub const PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;
/// `%preuntrans`, the text.
pub const PREUNTRANS: u32 = 5104;
/// `%postuntrans`, the text.
pub const POSTUNTRANS: u32 = 5105;
/// `%preuntrans`, the interpreter.
pub const PREUNTRANS_PROGRAM: u32 = 5106;
/// `%postuntrans`, the interpreter.
pub const POSTUNTRANS_PROGRAM: u32 = 5107;
/// The module stream that it was built for (`nodejs:18:…`).
pub const MODULARITY_LABEL: u32 = 5096;
/// Format of the package: 6, or absent.
pub const RPM_FORMAT: u32 = 5114;
/// Name, epoch, version and release of the source package, in packages of format 6.
pub const SOURCE_NEVR: u32 = 5120;
/// SHA-512 of the compressed payload, in hex, in packages of format 6.
pub const PAYLOAD_SHA512: u32 = 5121;
/// SHA3-256 of the compressed payload, in hex, in packages of format 6.
pub const PAYLOAD_SHA3_256: u32 = 5123;
/// The summary, in one line or one for each language.
pub const SUMMARY: u32 = 1004;
/// Who distributes the package.
pub const VENDOR: u32 = 1011;
/// The home page.
pub const URL: u32 = 1020;
/// Names of what it requires.
pub const REQUIRE_NAME: u32 = 1049;
/// Times of the changelog's entries, newest first.
pub const CHANGELOG_TIME: u32 = 1080;
/// Who wrote each entry, for which version.
pub const CHANGELOG_NAME: u32 = 1081;
/// The entries' texts.
pub const CHANGELOG_TEXT: u32 = 1082;
