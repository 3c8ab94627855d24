"""The HTTP interface: MONAI Label's own routers in threads, behind access control."""
