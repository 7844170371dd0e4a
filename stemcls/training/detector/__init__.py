"""Train the detector that is shipped, and fine-tune it on corrected fields."""
