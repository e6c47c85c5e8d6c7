"""Options of the gRPC channel, sync or async."""

# An answer is small beside a picture, but a page of 1000 products passes gRPC's default of 4 MiB.
_LONGEST_ANSWER_BYTES = 64 * 2**20

OPTIONS: list[tuple[str, int]] = [
    # Pictures of 20 MB and batches of them: what is too long is the server's to say.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", _LONGEST_ANSWER_BYTES),
    # Rare enough for servers with default limits (a ping in 5 minutes), and none on an idle connection.
    ("grpc.keepalive_time_ms", 300_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # gRPC waits a second before it connects again, in which every retry would fail unsent.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]
