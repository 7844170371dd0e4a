"""A finished model as a web page and a JSON API, for one lab's colleagues."""
