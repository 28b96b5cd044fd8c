"""What layers are made of, in the form that each kind of device is fast at; and compiling."""
