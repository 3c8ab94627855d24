"""The HTTP interface: MONAI Label's own routers in threads, behind what refuses those who may not ask."""
