"""What notes and campaigns contributed: credited by rules, and caused."""
