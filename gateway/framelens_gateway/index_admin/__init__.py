"""`framelens-index`: moves an alias to another space or index type, and back, while gateways serve and write."""
