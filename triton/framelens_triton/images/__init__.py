"""Image operations: what turns an encoded picture into engine inputs, the same for ingest, query and calibration."""
