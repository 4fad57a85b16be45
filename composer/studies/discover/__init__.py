"""``composer discover``: chooses the next points of a study so that their effects are large and diverse (DiscoBAX)."""
