// The mapper of the bridge, Kratos' OIDC provider that is the Auth0 tenant itself.
// Kratos calls it only for users that it does not have: those with an identity are
// found by their subject, and nothing of them changes.

// The providers in Auth0 user ids whose addresses Auth0 itself has verified, by a
// link or a code. With another one, Auth0 repeats what somebody else says.
local verifiers = ['auth0', 'email'];

local claims = std.extVar('claims');
local text(name) = if std.objectHas(claims, name) && std.isString(claims[name]) then claims[name] else '';
local provider = std.split(claims.sub, '|')[0];
local verified = std.objectHas(claims, 'email_verified') && claims.email_verified == true
                 && std.member(verifiers, provider) && text('email') != '';

{
  identity: {
    // Without a verified address, Kratos asks for one, and verifies it.
    traits: {
      [if verified then 'email']: claims.email,
    },
    [if verified then 'verified_addresses']: [{ via: 'email', value: claims.email }],
    // The binding, by which ferry knows the Auth0 user.
    metadata_admin: { auth0: { user_id: claims.sub, user_ids: [claims.sub] } },
  },
}
