"""Which tiles a stack is segmented in, and what each reads."""
