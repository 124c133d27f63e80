"""The only memory: PostgreSQL, embedded or by URL. The one room that speaks SQL."""
