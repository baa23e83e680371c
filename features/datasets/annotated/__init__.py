"""What lies beside images and says what they show: tables of labels, and the files of published sets."""
