"""One self-contained HTML file that tells what a run did, how well, and on what evidence."""
