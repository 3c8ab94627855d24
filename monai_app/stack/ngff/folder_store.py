"""A Zarr store in a folder of any file system."""

from zarr.core.buffer import Buffer
from zarr.storage import LocalStore


class FolderStore(LocalStore):
    """A ``LocalStore`` for making groups and arrays where files cannot be linked, as on exFAT and many network drives.

    Zarr links a file in order not to replace one that another process makes in the same moment. Whoever makes a group
    here holds the lock of its folder.
    """

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a value unless there is one."""
        if not await self.exists(key):
            await self.set(key, value)
