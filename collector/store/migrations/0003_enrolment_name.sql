-- Which machine an enrolment is meant for, in the words of whoever made it.
ALTER TABLE enrolments ADD COLUMN name TEXT NOT NULL DEFAULT '';
