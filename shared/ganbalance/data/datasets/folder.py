"""Image files in a folder per class, in one or several places; `layouts` says what such folders look like."""

from dataclasses import replace

from ganbalance.data import groups, layouts
from ganbalance.data.listing import Listing, walk
from ganbalance.data.own_images import OwnImages
from ganbalance.data.places import local_folders
from ganbalance.errors import DataError
from ganbalance.paths import expanded
from ganbalance.plurals import plural


class Folder(OwnImages):
    """Image files in a folder per class."""

    def _list(self) -> Listing:
        listing = Listing()
        below: dict[str, str] = {}  # name below its class, for patterns
        for prefix, root in local_folders(self._settings.path):
            tree = walk(root)
            placed = layouts.place(tree, listing.notes)
            for why, names in tree.left_out.items():
                listing.left_out[why] += [prefix + name for name in names]
            for file, part, label, name in placed:
                below[prefix + file.name] = name
                listing.entries.append(file.entry(label, part, prefix=prefix))
        if not listing.entries:
            loose = len(listing.left_out[layouts.NO_CLASS])
            raise DataError(
                f"{self._place} has no class folders with images in them ({plural(loose, 'image')} beside); put the "
                "images of each class in a folder, or list them in a CSV with labels and take dataset.name: table"
            )
        if named := self._settings.groups:
            if named.pattern is not None:
                found = groups.by_pattern(named.pattern, list(below.values()))
            else:
                root = local_folders(self._settings.path)[0][1]
                found = groups.by_column(root / expanded(named.csv, "dataset.groups.csv ="), named.column, list(below))
            listing.entries = [replace(entry, group=group) for entry, group in zip(listing.entries, found, strict=True)]
        return listing
