"""What people do to messages: release, discard, edit, resend, replay, and the preview of it."""
