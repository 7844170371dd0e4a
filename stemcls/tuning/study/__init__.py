"""What a study is: its definition, journal and folder, and what its decisions are made from."""
