"""What is kept between reruns, one module a capability: the only `st.cache_*`.

Keys are names and digests, never arrays.
"""
