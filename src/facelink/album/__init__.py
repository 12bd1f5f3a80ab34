"""A library of people that stays on disk: photographs, faces, people and what the user decided."""
