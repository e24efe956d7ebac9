"""S3-compatible object stores, by boto3."""
