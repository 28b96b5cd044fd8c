"""What a sweep shows of itself: a contact sheet and a page."""
