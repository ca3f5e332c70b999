// As an OIDC provider's mapper of Kratos' would be.
local claims = { email_verified: false } + std.extVar('claims');
{
  identity: {
    traits: {
      [if 'email' in claims then 'email']: claims.email,
      name: { first: claims.given_name, last: claims.family_name },
    },
    metadata_public: { plan: claims.raw_claims.app_metadata.plan },
    metadata_admin: { colour: claims.raw_claims.user_metadata.colour },
    verified_addresses: [
      { via: 'email', value: claims.email },
      { via: 'sms', value: claims.phone_number },
    ],
  },
}
