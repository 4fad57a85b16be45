"""This project's parties: the very code that trains, under the clock."""
