"""One child process: started, limited, watched and ended, whatever it does.

Stays empty: the zygote imports this package on its way up and must start fast.
"""
