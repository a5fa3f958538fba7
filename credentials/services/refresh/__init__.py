"""Renews access tokens by their refresh tokens (RFC 6749 section 6), so that no grant is lost.

Most providers spend a refresh token on its first use and end the old access token with it. Whoever loses the
answer has lost the grant; whoever asks twice may end it. So, in this order:

1. what could fail here is tried first: the ring seals, the journal has room, the database commits;
2. the row is claimed by one statement and committed, with the audit event that opens its refresh token (claim);
3. the provider is called (call);
4. the sealed pair goes into a file of this machine, on the disk (journal);
5. it replaces the old pair where the generation is still the claimed one (store); the file goes.

Whoever dies between 2 and 5 leaves the claim, and from 4 on the file: the next start finds both (heal). A pair
that came too late, because the account was disconnected or connected anew meanwhile, is revoked.

All this happens in the refresher, a process of its own (loop): killing web or job workers cannot interrupt it.
Others ask it by ``refresh_wanted_at`` and wait (ensure); where no refresher runs, they do it themselves.
"""
