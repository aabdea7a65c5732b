"""The five job programs. They never import each other; artifacts are all that passes between them."""
