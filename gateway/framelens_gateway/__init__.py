"""The gateway: gRPC and HTTP over one core, the catalogue, and the Milvus index. It touches no pixels."""
