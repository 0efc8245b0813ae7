"""What whoever asks works with: a bank, and a bureau that checks households."""
