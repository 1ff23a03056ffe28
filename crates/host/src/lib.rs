//! Published images to deployments.
