"""Sessions for Hyperdiv applications (the extra ``hyperdiv``)::

    import hyperdiv as hd
    from sealedsession.integrations.hyperdiv import sealed_session

    def main():
        session = sealed_session(validate_key="env:SESSION_VALIDATE_KEY", encrypt_key="env:SESSION_ENCRYPT_KEY")
        ...

plugin.py contains the plugin, tokens.py its interface to the rest of the package, and assets/ its code for the browser.
"""

from sealedsession.integrations import not_installed

try:
    from sealedsession.integrations.hyperdiv.plugin import sealed_session as sealed_session
except ModuleNotFoundError as _error:
    raise not_installed(_error, "hyperdiv") from _error
