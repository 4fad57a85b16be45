"""This project's candidates: the code that trains."""
