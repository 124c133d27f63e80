-- The reference table, frozen: what J, c50 and c99 are measured on, so that figures of
-- different versions compare. A journal's message row with its body in the same row.
drop schema if exists bench cascade;
create schema bench;
create table bench.reference (
    id          uuid        not null primary key,
    seq         bigint      not null,
    received    timestamptz not null,
    channel     text        not null,
    type        text        not null,
    control_id  text        not null,
    sender      text        not null,
    patient     text        not null,
    peer        text        not null,
    sha256      bytea       not null,
    body        bytea       not null
);
alter table bench.reference alter column body set storage external;
create index reference_by_control_id on bench.reference (control_id);
create index reference_by_channel on bench.reference (channel, received);
create index reference_by_patient on bench.reference (patient);
