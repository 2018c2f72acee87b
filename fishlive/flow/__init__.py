"""How much flows, and when: the audio buffer and what keeps it in bounds."""
