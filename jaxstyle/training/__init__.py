"""Training: crops of photographs by Grain, a loop whose checkpoints Orbax keeps."""
