"""Images listed in a CSV, TSV or JSON lines file with their labels, and perhaps with part and group."""

from ganbalance.data import places, tables
from ganbalance.data.layouts import part_called
from ganbalance.data.listing import File, Listing, readable, walk
from ganbalance.data.own_images import OwnImages
from ganbalance.errors import DataError


class Table(OwnImages):
    """A row for each image; files that no row names are left out."""

    def _list(self) -> Listing:
        path = places.local_file(self._settings.path, "a CSV, TSV or JSON lines file")
        root = path.parent
        if (images := self._settings.images) is not None:
            root = places.local(images, "dataset.images")
            if not root.is_dir():
                raise DataError(f"dataset.images = {images!r} is a file; name the folder that the images are in")
        tree = walk(root)
        files = {file.name: file for file in tree.files}
        listing, find = Listing(left_out=tree.left_out), tables.Finder(files, root)
        said: dict[str, tables.Row] = {}
        for row in tables.rows(path, self._settings.columns):
            if not row.path:
                listing.left_out["a row without a path"].append(f"line {row.line}")
                continue
            name = find(row.path, f"{path}, line {row.line}") or readable(row.path)
            before = said.setdefault(name, row)
            if before[2:] != row[2:]:
                raise DataError(
                    f"{path}, lines {before.line} and {row.line} say different things of {row.path!r}; keep one"
                )
            part = part_called(row.split) if row.split else "train"
            if not row.label:
                listing.left_out["a row without a label"].append(name)
            elif part is None:
                listing.left_out[f"of split {row.split!r}, not train, validation or test"].append(name)
            elif before is row:
                file = files.get(name) or File(name, root / row.path, problem=f"is not below {root} (dataset.images)")
                listing.entries.append(file.entry(readable(row.label), part, readable(row.group)))
        listing.left_out["an image that no row names"] += sorted(files.keys() - said.keys())
        for why, names in listing.left_out.items():
            listing.left_out[why] = [name for name in names if root / name != path]
        return listing
