//! What a catalog needs to use the fixture.
