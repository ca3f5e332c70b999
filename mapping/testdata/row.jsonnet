// What an operator writes who maps more than the traits' names say.
local claims = { email_verified: false } + std.extVar('claims');
local metadata = { app_metadata: {}, user_metadata: {} } + claims.raw_claims;
{
  identity: {
    traits: {
      [if 'email' in claims then 'email']: claims.email,
      [if 'preferred_username' in claims then 'username']: claims.preferred_username,
      name: {
        [if 'given_name' in claims then 'first']: claims.given_name,
        [if 'family_name' in claims then 'last']: claims.family_name,
      },
    },
    metadata_public: { [if 'plan' in metadata.app_metadata then 'plan']: metadata.app_metadata.plan },
    verified_addresses: if claims.email_verified then [{ via: 'email', value: claims.email }] else [],
  },
}
