"""A Zarr store in a folder of any file system."""

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore


class FolderStore(LocalStore):
    """A ``LocalStore`` for file systems where files cannot be linked, as exFAT and many network drives.

    Zarr links a file in order not to replace one that another process makes in the same moment. Whoever makes a group
    here holds the lock of its folder.

    Attributes:
        complete: whether every chunk of the one array in the folder must be there. Zarr reads one that is missing as
            fill value.
    """

    complete = False

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a file; None if there is none.

        Raises:
            FileNotFoundError: there is no such chunk, and all must be there.
        """
        value = await super().get(key, prototype, byte_range)
        if value is None and self.complete and key.startswith("c/"):
            raise FileNotFoundError(f"{self.root / key} is missing")
        return value

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a value unless there is one."""
        if not await self.exists(key):
            await self.set(key, value)
