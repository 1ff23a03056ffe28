//! The content-addressed store and all network: every byte that enters or leaves the factory passes here.
